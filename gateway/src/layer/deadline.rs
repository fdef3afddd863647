//! Nobody waits longer than the deadline. What was begun runs on without its kiosk; its answer is destroyed.

use sekisho_issuance::request::Operation;
use tower::Service;

use super::{Admitted, Reply};
use crate::problem::{Code, Problem};

/// After `admission`, whose refusal says when to come back; around everything that waits for a backend.
pub async fn deadline<S>(admitted: Admitted, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Admitted, Response = Reply, Error = Problem>,
{
    let received = &admitted.allowed.asked.received;
    let until = received.known.context.deadline();
    let operation = received.matched.route.operation;
    let key = admitted.allowed.asked.facts.idempotency_key.clone();
    match tokio::time::timeout_at(until.into(), next.call(admitted)).await {
        Ok(ended) => ended,
        // A change that was begun may have been applied: only the backend knows.
        Err(_) if operation == Operation::Amend => {
            let problem = Problem::because(Code::Indeterminate, "timeout");
            Err(key.iter().fold(problem, |problem, key| problem.with_key(key.expose())))
        }
        Err(_) => Err(Problem::new(Code::Expired)),
    }
}
