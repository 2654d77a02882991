//! Relabelling: rules that rewrite, keep or drop label sets.
