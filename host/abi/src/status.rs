//! What a host function answers.

/// A status, by its number in the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// It was done.
    Ok = 0,
    /// There is no such thing.
    NotFound = 1,
    /// What was given makes no sense.
    BadArgument = 2,
    /// What was given leads out of the guest's memory.
    InvalidMemoryAccess = 6,
    /// There is nothing in it.
    Empty = 7,
    /// Somebody else changed it meanwhile.
    CasMismatch = 8,
    /// It cannot be done now.
    InternalFailure = 10,
    /// Nobody does that here.
    Unimplemented = 12,
}
