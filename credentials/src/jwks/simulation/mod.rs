//! Workers of one proxy, a board between them that sometimes fails, and a provider that is up, down, slow, lying or rotating, on
//! simulated time. What must hold is checked at every step, by a witness that knows the machine only from outside.

mod cases;
mod world;
