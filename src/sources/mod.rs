//! placeholder
use crate::model::{Answer, Labels, Need};
use futures_util::future::BoxFuture;
/// A place where rules are evaluated.
pub trait Source: Send + Sync {
    fn name(&self) -> &str;
    fn labels(&self) -> &Labels;
    fn external_url(&self) -> &str;
    fn answer<'a>(&'a self, need: &'a Need, deadline: tokio::time::Instant) -> BoxFuture<'a, Answer>;
}
