//! Each thing that goes wrong is told by its own cause, with its remedy, in the same words in both engines.

mod causes;
mod contents;
mod deleted;
mod encoding;
mod held_back;
mod not_before;
