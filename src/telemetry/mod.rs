//! placeholder
mod summary;
pub use summary::Summary;
