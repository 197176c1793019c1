//! Fixed sets of names, such as the statuses of a task: each enum is written once, and reads what
//! it writes.

/// Not one of the names of a fixed set.
#[derive(Debug, thiserror::Error)]
#[error("expected one of: {0}")]
pub struct UnknownName(pub(crate) &'static str);

macro_rules! named {
    ($type:ident, $list:literal, $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::named::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::named::UnknownName($list)),
                }
            }
        }
    };
}

pub(crate) use named;
