//! Enums that are stored as numbers and shown as names.

/// Declares an enum whose variants have a number in the store, never changed, and a name at the
/// API: `coded! { /// Doc. State { /// Doc. Held = 1 "HELD", } }`.
#[macro_export]
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its number in the store.
            pub const fn code(self) -> i64 {
                match self { $(Self::$variant => $code),+ }
            }

            /// The one with this number.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// Its name at the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_i64(self.code())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let code = <i64 as $crate::serde::Deserialize>::deserialize(from)?;
                let unknown = || $crate::serde::de::Error::custom("a number without a meaning");
                Self::from_code(code).ok_or_else(unknown)
            }
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public enums")]
mod tests {
    coded! {
        /// A light.
        Light {
            /// Stop.
            Red = 1 "RED",
            /// Go.
            Green = 3 "GREEN",
        }
    }

    #[test]
    fn a_coded_enum_survives_its_number() {
        let all: Vec<_> =
            Light::ALL.iter().map(|l| (Light::from_code(l.code()), l.name())).collect();
        assert_eq!(all, [(Some(Light::Red), "RED"), (Some(Light::Green), "GREEN")]);
        assert_eq!(Light::from_code(2), None);
    }
}
