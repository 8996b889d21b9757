//! Builds: the ports that `ferry-build` asks for, on top of the store, the registry client and the runtime.

pub mod context;
