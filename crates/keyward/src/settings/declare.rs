//! The one macro by which settings are declared: it makes the typed structs and the table that
//! parsing, the example, the listing and the check for unknown keys are all derived from.

/// A section of the settings, in the order of the example.
pub(crate) struct Section {
    /// What its keys begin with: its table in the file and a dot, or nothing above the tables.
    pub(crate) prefix: &'static str,
    /// What it is about, a line each.
    pub(crate) doc: &'static [&'static str],
    pub(crate) settings: &'static [Setting],
}

/// One setting.
pub(crate) struct Setting {
    /// Its whole path, such as `tokens.access_ttl`.
    pub(crate) key: &'static str,
    /// Its name within the section.
    pub(crate) name: &'static str,
    /// What it does, a line each.
    pub(crate) doc: &'static [&'static str],
    /// Its default, as TOML.
    pub(crate) default: &'static str,
    /// What is allowed, to follow "must be".
    pub(crate) expected: fn() -> String,
    /// Whether its value is never printed.
    pub(crate) secret: bool,
}

/// Declares sections as `name "prefix": Struct { key: Type = default; … }`, all with doc comments.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident $prefix:literal: $Section:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $Type:ty = $default:tt; )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            pub(crate) struct $Section {
                $( $(#[doc = $doc])+ pub(crate) $key: $Type, )+
            }
        )+

        /// Every setting, each of its own type.
        pub(crate) struct Values {
            $( $(#[doc = $section_doc])+ pub(crate) $section: $Section, )+
        }

        /// Every setting there is.
        pub(crate) static SECTIONS: &[$crate::settings::declare::Section] = &[$(
            $crate::settings::declare::Section {
                prefix: $prefix,
                doc: &[$($section_doc),+],
                settings: &[$( $crate::settings::declare::Setting {
                    key: concat!($prefix, stringify!($key)),
                    name: stringify!($key),
                    doc: &[$($doc),+],
                    default: stringify!($default),
                    expected: <$Type as $crate::settings::value::Value>::expected,
                    secret: <$Type as $crate::settings::value::Value>::SECRET,
                } ),+],
            }
        ),+];

        impl Values {
            /// Reads every setting, or says what is wrong with each that cannot be read.
            pub(crate) fn read(layers: &$crate::settings::layers::Layers) -> Result<Self, $crate::settings::Problems> {
                let values = [$($(
                    layers.value::<$Type>(concat!($prefix, stringify!($key))).err()
                ),+),+];
                let problems = layers.problems.iter().cloned().chain(values.into_iter().flatten());
                $crate::settings::Problems::none_of(problems.collect())?;
                Ok(Self { $(
                    $section: $Section { $(
                        $key: layers.value(concat!($prefix, stringify!($key)))?,
                    )+ },
                )+ })
            }
        }
    };
}

pub(crate) use settings;
