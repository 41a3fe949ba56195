//! The words of enums.

/// Gives an enum the word of each variant, for the database, the configuration and messages, and reads it.
macro_rules! words {
    ($name:ident, $article_and_noun:literal, $($variant:ident => $word:literal),+) => {
        impl $name {
            /// The word in the database, in the configuration and in messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::NameError::new(format!("{text:?} is not {}", $article_and_noun))),
                }
            }
        }
    };
}
