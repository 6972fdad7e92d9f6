//! The numbers of Proxy-Wasm 0.2.1, each decoded to a type; a number outside its range is refused.

/// What a hostcall answers its guest. The numbers are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum CallStatus {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

impl CallStatus {
    /// The Rust SDK's `Status` lacks it: its guests turn the number into a value that their enum does not have.
    pub fn is_unusual(self) -> bool {
        use CallStatus::{InvalidMemoryAccess, Unimplemented};
        matches!(self, InvalidMemoryAccess | Unimplemented)
    }
}

/// A context's number within one VM. Zero is none: the parent of a root context, and "no effective context".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

/// A callout's number, as the guest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutToken(pub u32);

/// A metric's number, as the guest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub u32);

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),* }

        impl $name {
            /// Decodes the wire's number; `BadArgument` outside the range.
            pub fn decode(number: u32) -> Result<Self, CallStatus> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(CallStatus::BadArgument),
                }
            }
        }
    };
}

wire_enum! {
    /// Which header map a hostcall means.
    MapType {
        RequestHeaders = 0,
        RequestTrailers = 1,
        ResponseHeaders = 2,
        ResponseTrailers = 3,
        GrpcInitialMetadata = 4,
        GrpcTrailingMetadata = 5,
        CalloutHeaders = 6,
        CalloutTrailers = 7,
    }
}

wire_enum! {
    /// Which buffer a hostcall means.
    BufferType {
        RequestBody = 0,
        ResponseBody = 1,
        DownstreamData = 2,
        UpstreamData = 3,
        CalloutBody = 4,
        GrpcMessage = 5,
        VmConfiguration = 6,
        PluginConfiguration = 7,
        CallData = 8,
    }
}

wire_enum! {
    /// What `continue_stream` and `close_stream` act on.
    StreamType {
        Request = 0,
        Response = 1,
        Downstream = 2,
        Upstream = 3,
    }
}

wire_enum! {
    LogLevel {
        Trace = 0,
        Debug = 1,
        Info = 2,
        Warn = 3,
        Error = 4,
        Critical = 5,
    }
}

impl std::fmt::Display for LogLevel {
    /// As Envoy's `--log-level` spells it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
            LogLevel::Critical => "critical",
        })
    }
}

wire_enum! {
    MetricType {
        Counter = 0,
        Gauge = 1,
        Histogram = 2,
    }
}
