//! Tests of the whole; the tests themselves lie in `tests/tests/`.
