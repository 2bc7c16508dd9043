//! Numbers of the ABI.

pub(super) use osier_abi::Status;
use osier_capabilities::SpaceError;

/// Why a host function did not do what it was asked.
pub(super) enum Fault {
    /// The guest is told.
    Status(Status),
    /// The guest ends: its allocator trapped, or its time is over.
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<SpaceError> for Fault {
    fn from(error: SpaceError) -> Self {
        Self::Status(match error {
            SpaceError::NotFound => Status::NotFound,
            SpaceError::CasMismatch => Status::CasMismatch,
            SpaceError::Empty => Status::Empty,
            SpaceError::BadArgument => Status::BadArgument,
            SpaceError::Full => Status::InternalFailure,
        })
    }
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// What a host function gives back to wasmtime.
pub(super) type Answered = wasmtime::Result<u32>;

/// The status that the guest sees.
pub(super) fn answer(done: Result<(), Fault>) -> Answered {
    match done {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Fault::Status(status)) => Ok(status as u32),
        Err(Fault::Trap(error)) => Err(error),
    }
}

/// Which map a host function is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    CallHeaders,
    CallTrailers,
}

impl Map {
    pub(super) fn of(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            // Of gRPC calls, which are not offered: there never is one.
            4 | 5 => return Err(Status::NotFound),
            6 => Self::CallHeaders,
            7 => Self::CallTrailers,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Which bytes a host function is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    RequestBody,
    ResponseBody,
    CallBody,
    VmConfiguration,
    PluginConfiguration,
}

impl Buffer {
    pub(super) fn of(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestBody,
            1 => Self::ResponseBody,
            4 => Self::CallBody,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            // Raw connections, gRPC messages and foreign functions: there never are any.
            2 | 3 | 5 | 8 => return Err(Status::NotFound),
            _ => return Err(Status::BadArgument),
        })
    }
}
