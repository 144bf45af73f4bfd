//! The jail with the real Node in it: what a step can do, what it cannot, and what the pool does.

mod contract;
mod egress;
mod escape;
mod lifecycle;
mod limits;
mod pool;
mod support;
