//! Whole builds on a real store, with a runner and images that live in the test.

mod cache;
mod cancelling;
mod copying;
mod failures;
mod hostile;
mod house;
mod images;
mod platforms;
mod reproducible;
mod running;
