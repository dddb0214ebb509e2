//! Licences: what a library's licence asks of the module that it is in, and what a whole module is under.

use std::collections::BTreeSet;

use spdx::expression::ExpressionReq;
use spdx::{Expression, LicenseItem};

/// Whether a profile takes what is under the GPL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Licence {
    Lgpl,
    Gpl,
}

impl Licence {
    pub const ALL: [Licence; 2] = [Licence::Lgpl, Licence::Gpl];

    /// What it is called in a profile's name.
    pub fn name(self) -> &'static str {
        match self {
            Licence::Lgpl => "lgpl",
            Licence::Gpl => "gpl",
        }
    }
}

/// What FFmpeg must be configured with to be combined with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    pub gpl: bool,
    pub version3: bool,
}

impl Terms {
    /// From the least to the most.
    const ALL: [Terms; 4] = [
        Terms::new(false, false),
        Terms::new(false, true),
        Terms::new(true, false),
        Terms::new(true, true),
    ];

    pub const fn new(gpl: bool, version3: bool) -> Terms {
        Terms { gpl, version3 }
    }

    /// FFmpeg's own licence when it is configured so.
    pub fn ffmpeg_license(self) -> &'static str {
        match (self.gpl, self.version3) {
            (false, false) => "LGPL-2.1-or-later",
            (false, true) => "LGPL-3.0-or-later",
            (true, false) => "GPL-2.0-or-later",
            (true, true) => "GPL-3.0-or-later",
        }
    }

    fn permit(self, expression: &Expression) -> bool {
        expression.evaluate(|requirement| {
            let LicenseItem::Spdx { id, .. } = requirement.license else {
                return false;
            };
            match id.name {
                "GPL-1.0-or-later" | "GPL-2.0-or-later" => self.gpl,
                "GPL-2.0-only" => self.gpl && !self.version3,
                "GPL-3.0-only" | "GPL-3.0-or-later" => self.gpl && self.version3,
                "LGPL-3.0-only" | "LGPL-3.0-or-later" => self.version3,
                "LGPL-2.0-or-later" | "LGPL-2.1-only" | "LGPL-2.1-or-later" | "MPL-2.0" => true,
                // The exception of LLVM says that it may be combined with version 2.
                "Apache-2.0" => self.version3 || requirement.addition.is_some(),
                _ => !id.is_copyleft(),
            }
        })
    }
}

/// The least with which something under this expression can be combined.
pub fn terms(expression: &str) -> Result<Terms, String> {
    let parsed = parse(expression)?;
    let found = Terms::ALL.into_iter().find(|terms| terms.permit(&parsed));
    found.ok_or_else(|| format!("{expression} can be combined with FFmpeg on no terms"))
}

pub fn parse(expression: &str) -> Result<Expression, String> {
    Expression::parse(expression).map_err(|error| format!("`{expression}` is no SPDX expression: {}", error.reason))
}

/// The expression of a whole: FFmpeg's licence and those of all that is linked with it, each once.
pub fn whole<'a>(terms: Terms, others: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let ffmpeg = terms.ffmpeg_license();
    let mut parts = BTreeSet::new();
    for expression in others {
        // Alternatives stay together; what all must be met is taken apart, so that each stands once.
        let parsed = parse(expression)?;
        match expression.contains(" OR ") {
            true => drop(parts.insert(format!("({expression})"))),
            false => parts.extend(parsed.requirements().map(|ExpressionReq { req, .. }| req.to_string())),
        }
    }
    parts.remove(ffmpeg);
    Ok(std::iter::once(ffmpeg.to_owned())
        .chain(parts)
        .collect::<Vec<_>>()
        .join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_licence_asks_of_ffmpeg() {
        let cases = [
            ("Zlib", Terms::new(false, false)),
            ("LGPL-2.0-or-later", Terms::new(false, false)),
            ("Apache-2.0 WITH LLVM-exception AND MIT", Terms::new(false, false)),
            ("Apache-2.0", Terms::new(false, true)),
            ("LGPL-3.0-or-later", Terms::new(false, true)),
            ("GPL-2.0-or-later", Terms::new(true, false)),
            ("GPL-2.0-only AND BSD-2-Clause", Terms::new(true, false)),
            ("GPL-3.0-or-later", Terms::new(true, true)),
            ("FTL OR GPL-2.0-only", Terms::new(false, false)),
            ("GPL-2.0-or-later AND Apache-2.0", Terms::new(true, true)),
        ];
        for (expression, wanted) in cases {
            assert_eq!(terms(expression), Ok(wanted), "{expression}");
        }
        assert!(terms("AGPL-3.0-only").unwrap_err().contains("on no terms"));
        assert!(terms("BSD").unwrap_err().contains("no SPDX expression"));
    }

    #[test]
    fn a_whole_names_each_licence_once() {
        let parts = ["MIT AND Zlib", "Zlib", "FTL OR GPL-2.0-only", "LGPL-2.1-or-later"];
        assert_eq!(
            whole(Terms::new(false, false), parts).unwrap(),
            "LGPL-2.1-or-later AND (FTL OR GPL-2.0-only) AND MIT AND Zlib"
        );
    }
}
