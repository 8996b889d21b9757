//! ferry-net
