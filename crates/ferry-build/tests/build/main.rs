//! Whole builds on a real store, with a runner and images that live in the test.

mod cache;
mod copying;
mod failures;
mod house;
mod images;
mod platforms;
mod reproducible;
mod running;
