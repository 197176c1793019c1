//! What a configuration key is: declared once, read, shown and documented from that one place.

use super::reader::Reader;
use super::setting::Setting;

/// One key: everything about it but its Rust type.
#[derive(Debug)]
pub struct Key {
    /// The section it stands in; empty for a key at the top of the file.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// What values it takes, for people.
    pub kind: &'static str,
    /// What holds when it is not given.
    pub default: WhenAbsent,
    /// What it does, for people.
    pub doc: &'static str,
    /// Whether its value is kept out of every output, and may be given as a file.
    pub secret: bool,
}

/// What holds when a key is not given.
#[derive(Debug)]
pub enum WhenAbsent {
    /// A value, as text; empty for none.
    Text(&'static str),
    /// A value that follows from other keys.
    Derived {
        /// The value in words.
        says: &'static str,
        /// The value; none when a key that it follows from is faulty.
        from: fn(&Reader) -> Option<String>,
    },
}

impl Key {
    /// The key as written in messages and after `--set`: `http.listen`.
    pub fn id(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }

    /// Its environment variable. The addresses of other services go by the names that everyone
    /// gives them (`DATABASE_URL`); all others begin with `SMARTTASKS_`.
    pub fn env(&self) -> String {
        let name = self.name.to_uppercase();
        if !self.section.is_empty() {
            format!("SMARTTASKS_{}__{name}", self.section.to_uppercase())
        } else if name.ends_with("_URL") {
            name
        } else {
            format!("SMARTTASKS_{name}")
        }
    }
}

/// A group of keys that become one struct.
pub trait Section: Sized {
    /// What the section is about, for people.
    const ABOUT: &'static str;
    /// Its keys, in the order of the documentation.
    const KEYS: &'static [Key];

    /// Reads every key, so that every problem is found; none when there was one.
    fn read(reader: &mut Reader) -> Option<Self>;
}

/// The key for a field of type `T`.
pub(super) const fn key<T: Setting>(
    section: &'static str,
    name: &'static str,
    default: WhenAbsent,
    doc: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind: T::KIND,
        default,
        doc,
        secret: T::SECRET,
    }
}

/// Declares a section: for each key its documentation, name, type and default, as text. From this
/// come the struct, its reading, and what `config show` and the documentation say of it.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:literal => $struct:ident {
            $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $struct {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        impl $crate::config::key::Section for $struct {
            const ABOUT: &'static str = concat!($($about),+);
            const KEYS: &'static [$crate::config::key::Key] = &[
                $( $crate::config::key::key::<$type>(
                    $section,
                    stringify!($name),
                    $default,
                    concat!($($doc),+),
                ), )+
            ];

            fn read(reader: &mut $crate::config::reader::Reader) -> Option<Self> {
                $( let $name = reader.read($section, stringify!($name)); )+
                Some(Self { $( $name: $name?, )+ })
            }
        }
    };
}
pub(super) use section;
