//! placeholder
use crate::model::TimedSample;
use futures_util::future::BoxFuture;
/// Keeps series.
pub trait Store: Send + Sync {
    fn append(&self, samples: Vec<TimedSample>) -> Ticket;
}
/// Proof that samples were taken.
#[derive(Debug, Clone)]
pub struct Ticket;
impl Ticket {
    pub fn done() -> Ticket {
        Ticket
    }
    pub fn acknowledged(self, _deadline: tokio::time::Instant) -> BoxFuture<'static, bool> {
        Box::pin(async { true })
    }
}
