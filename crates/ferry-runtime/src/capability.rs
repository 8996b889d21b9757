//! Linux capabilities: sets, Docker's default, the words of `--cap-add` and `--cap-drop`, and applying them.
