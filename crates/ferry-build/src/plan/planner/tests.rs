//! Tables for whole plans.
