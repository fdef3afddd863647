//! Kiosk sessions as the product keeps them: one a terminal and municipality.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::chronicle::{Asked, Party, Role};
use super::fault::Fault;
use super::held;
use super::resident::PersonNo;
use super::world::{City, World};

/// One card presence, as the backend believes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) city: usize,
    pub(super) terminal: String,
    pub(super) person: PersonNo,
    /// Calls in it, whatever came of them.
    pub(super) calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<String, Arc<Session>>,
    by_terminal: HashMap<(usize, String), String>,
    opened: u64,
}

/// The open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<Open>,
}

impl Sessions {
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        held(&self.open).by_id.get(id).cloned()
    }

    pub(super) fn close(&self, id: &str) -> bool {
        let mut open = held(&self.open);
        let Some(session) = open.by_id.remove(id) else { return false };
        let key = (session.city, session.terminal.clone());
        if open.by_terminal.get(&key).is_some_and(|last| last == id) {
            open.by_terminal.remove(&key);
        }
        true
    }

    /// Opens a session for the card's holder. Right: whatever the terminal had open before is closed. Wrong
    /// (account-previous-user): it is handed out again.
    pub(super) fn open(&self, world: &World, city: &City, asked: &Asked) -> Arc<Session> {
        let key = (city.no, asked.terminal.clone());
        let earlier = {
            let open = held(&self.open);
            open.by_terminal.get(&key).and_then(|id| open.by_id.get(id)).cloned()
        };
        if let Some(earlier) = earlier {
            if world.fires(city, Fault::AccountPreviousUser, None, asked) {
                if earlier.person != asked.person {
                    let partner = Party { session: earlier.id.clone(), ..world.person_party(earlier.person) };
                    world.log(city, Fault::AccountPreviousUser, Role::Harm, None, world.party(asked), Some(partner));
                }
                return earlier;
            }
            self.close(&earlier.id);
        }
        let mut open = held(&self.open);
        open.opened += 1;
        let mark = super::fault::mix(world.config.seed ^ super::fault::mix(open.opened));
        let session = Arc::new(Session {
            id: format!("S{}-{:06}{:08x}", city.municipality.code, open.opened, mark >> 32),
            city: city.no,
            terminal: asked.terminal.clone(),
            person: asked.person,
            calls: AtomicU64::new(0),
        });
        open.by_id.insert(session.id.clone(), Arc::clone(&session));
        open.by_terminal.insert(key, session.id.clone());
        session
    }
}
