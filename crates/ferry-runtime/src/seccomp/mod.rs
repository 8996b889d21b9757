//! System-call filters: from a profile to classic BPF.
