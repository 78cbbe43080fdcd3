//! Tables over the whole room.
