//! Taking away what is old or too much.
