//! The incident replay: each reported incident once straight at the backend and once through a gateway, over real
//! sockets, judged by the independent auditor.

pub mod catalogue;
