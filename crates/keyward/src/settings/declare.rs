//! The macro that declares the settings.
//!
//! Invariant: one declaration makes the typed struct and the table from which reading, the example file, `config show`
//! and the check for unknown names are derived.

/// A section of the settings, in the order of the example.
pub(crate) struct Section {
    /// The beginning of its keys: the name of its table and a dot, or nothing for settings above the tables.
    pub(crate) prefix: &'static str,
    /// Its explanation, line by line.
    pub(crate) doc: &'static [&'static str],
    pub(crate) settings: &'static [Setting],
}

/// One setting.
pub(crate) struct Setting {
    /// Its whole path, such as `tokens.access_ttl`.
    pub(crate) key: &'static str,
    /// Its name within the section.
    pub(crate) name: &'static str,
    /// Its former paths, which are still read, with a warning.
    pub(crate) former: &'static [&'static str],
    /// Its explanation, line by line.
    pub(crate) doc: &'static [&'static str],
    /// Its default, as TOML.
    pub(crate) default: &'static str,
    /// The allowed values, as a phrase that follows "must be".
    pub(crate) expected: fn() -> String,
    /// Whether its value is never printed.
    pub(crate) secret: bool,
}

/// Declares sections as `name "prefix": Struct { key (was former): Type = default; … }`, all with doc comments.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident $prefix:literal: $Section:ident {
            $( $(#[doc = $doc:literal])+ $key:ident $( (was $former:ident) )?: $Type:ty = $default:tt; )+
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
                    former: &[$( concat!($prefix, stringify!($former)) )?],
                    doc: &[$($doc),+],
                    default: stringify!($default),
                    expected: <$Type as $crate::settings::value::Value>::expected,
                    secret: <$Type as $crate::settings::value::Value>::SECRET,
                } ),+],
            }
        ),+];

        impl Values {
            /// Reads every setting.
            ///
            /// # Errors
            /// Everything that is wrong with the layers and with the values.
            pub(crate) fn read(layers: &$crate::settings::layers::Layers) -> Result<Self, $crate::settings::SettingsError> {
                let values = [$($(
                    layers.value::<$Type>(concat!($prefix, stringify!($key))).err()
                ),+),+];
                let errors = layers.errors.iter().cloned().chain(values.into_iter().flatten());
                $crate::settings::SettingsError::none_of(errors.collect())?;
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
