//! psp
