use std::sync::Arc;

use super::detection::{Detection, Indicator, Scores};
use super::field::Field;
use super::metadata::{Metadata, MetadataFields};
use super::rule::{
    Condition, Fallback, Operand, Rule, RuleProblem, RuleSet, RuleSetError, Thresholds,
};
use super::{DetectionInput, MethodDetector};
use crate::payment::PaymentMethod;
use crate::webhook::Value;

/// Largest compiled form of one expression, in bytes.
#[cfg(feature = "regex")]
const REGEX_SIZE_LIMIT: usize = 256 * 1024;

/// A checked and compiled rule set. Fields are resolved and expressions compiled
/// when it is loaded.
#[derive(Debug)]
pub struct RuleDetector {
    version: Arc<str>,
    thresholds: Thresholds,
    fallback: Fallback,
    fields: Vec<Field>,
    rules: Vec<CompiledRule>,
    /// Rules that read a field of the callback, and which.
    reads: Vec<(String, String)>,
    metadata: MetadataFields,
}

#[derive(Debug)]
struct CompiledRule {
    id: Arc<str>,
    method: PaymentMethod,
    /// Index into the detector's fields; rules that look at one field share it.
    field: usize,
    test: Test,
    weight: f64,
    required: bool,
}

#[derive(Debug)]
enum Test {
    Exists,
    NotExists,
    Bool(bool),
    Number(Comparison, Number),
    Text(Matching, String, Case),
    #[cfg(feature = "regex")]
    Regex(regex::Regex),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equals,
    Greater,
    Less,
}

#[derive(Debug, Clone, Copy)]
enum Matching {
    Whole,
    Inside,
    Start,
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Exact,
    Ignored,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Integer(i64),
    Fraction(f64),
}

impl RuleDetector {
    /// Checks and compiles a rule set.
    ///
    /// # Errors
    /// [`RuleSetError`] lists every problem: a duplicate id, a weight out of
    /// range, an expression that does not compile, a value of the wrong kind.
    pub fn new(rules: RuleSet) -> Result<Self, RuleSetError> {
        let mut problems = rules.problems();
        let mut fields = Vec::new();
        let mut compiled = Vec::with_capacity(rules.rules.len());
        for rule in &rules.rules {
            match compile(rule, &mut fields) {
                Ok(rule) => compiled.push(rule),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(RuleSetError { problems });
        }
        let of_callback = rules
            .rules
            .iter()
            .filter(|rule| !rule.field.starts_with('@'));
        Ok(Self {
            reads: of_callback
                .map(|rule| (rule.id.clone(), rule.field.clone()))
                .collect(),
            version: rules.version.into(),
            thresholds: rules.thresholds,
            fallback: rules.fallback,
            fields,
            rules: compiled,
            metadata: rules.metadata,
        })
    }

    /// What this detector assumes when it cannot tell.
    pub fn fallback(&self) -> Fallback {
        self.fallback
    }
}

impl MethodDetector for RuleDetector {
    fn reads(&self) -> Vec<(String, String)> {
        self.reads.clone()
    }

    fn takes_unknown_for_card(&self) -> bool {
        self.fallback == Fallback::AssumeCard
    }

    fn detect(&self, clues: &DetectionInput<'_>) -> Detection {
        let values: Vec<Option<Value<'_>>> =
            self.fields.iter().map(|field| field.read(clues)).collect();
        let mut scores = Scores::default();
        let mut seen: Vec<PaymentMethod> = Vec::new();
        let mut indicators = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let matched = rule.test.matches(values[rule.field].as_ref());
            scores.add(rule.method, rule.weight, matched, rule.required);
            if matched && self.fields[rule.field].is_seen() {
                seen.push(rule.method);
            }
            indicators.push(Indicator {
                rule: rule.id.clone(),
                method: rule.method,
                weight: rule.weight,
                required: rule.required,
                matched,
            });
        }
        let metadata = clues
            .notification
            .map(|notification| Metadata::read(notification, &self.metadata))
            .unwrap_or_default();
        let mut detection = Detection::conclude(
            self.version.clone(),
            &scores,
            indicators,
            self.thresholds,
            self.fallback,
            metadata,
        );
        detection.seen = seen.contains(&detection.method);
        detection
    }
}

fn compile(rule: &Rule, fields: &mut Vec<Field>) -> Result<CompiledRule, RuleProblem> {
    let id = || rule.id.clone();
    if !(rule.weight > 0.0 && rule.weight < 1.0) {
        return Err(RuleProblem::BadWeight { rule: id() });
    }
    if rule.method == PaymentMethod::Unknown {
        return Err(RuleProblem::UnknownMethod { rule: id() });
    }
    if rule.field.trim().is_empty() {
        return Err(RuleProblem::EmptyField { rule: id() });
    }
    let field = Field::named(&rule.field).ok_or_else(|| RuleProblem::UnknownFact {
        rule: id(),
        field: rule.field.clone(),
    })?;
    let test = compile_test(rule)?;
    let index = fields
        .iter()
        .position(|other| *other == field)
        .unwrap_or_else(|| {
            fields.push(field);
            fields.len() - 1
        });
    Ok(CompiledRule {
        id: rule.id.as_str().into(),
        method: rule.method,
        field: index,
        test,
        weight: rule.weight,
        required: rule.required,
    })
}

fn compile_test(rule: &Rule) -> Result<Test, RuleProblem> {
    let needs = |needs| {
        Err(RuleProblem::BadValue {
            rule: rule.id.clone(),
            needs,
        })
    };
    let case = if rule.ignore_case {
        Case::Ignored
    } else {
        Case::Exact
    };
    let text = |matching, text: &str| Ok(Test::Text(matching, text.to_owned(), case));
    match (rule.condition, &rule.value) {
        (Condition::Exists, None) => Ok(Test::Exists),
        (Condition::NotExists, None) => Ok(Test::NotExists),
        (Condition::Exists | Condition::NotExists, Some(_)) => needs("no value"),
        (_, Some(Operand::Fraction(number))) if !number.is_finite() => needs("a finite number"),
        (Condition::Equals, Some(Operand::Bool(value))) => Ok(Test::Bool(*value)),
        (Condition::Equals, Some(Operand::Text(value))) => text(Matching::Whole, value),
        (Condition::Contains, Some(Operand::Text(value))) if !value.is_empty() => {
            text(Matching::Inside, value)
        }
        (Condition::StartsWith, Some(Operand::Text(value))) if !value.is_empty() => {
            text(Matching::Start, value)
        }
        (Condition::Contains | Condition::StartsWith, _) => needs("a text that is not empty"),
        (Condition::Regex, Some(Operand::Text(value))) => compile_regex(rule, value),
        (Condition::Regex, _) => needs("an expression as text"),
        (condition, Some(Operand::Integer(number))) => Ok(Test::Number(
            comparison(condition),
            Number::Integer(*number),
        )),
        (condition, Some(Operand::Fraction(number))) => Ok(Test::Number(
            comparison(condition),
            Number::Fraction(*number),
        )),
        (Condition::GreaterThan | Condition::LessThan, _) => needs("a number"),
        (Condition::Equals, None) => needs("a value"),
    }
}

fn comparison(condition: Condition) -> Comparison {
    match condition {
        Condition::GreaterThan => Comparison::Greater,
        Condition::LessThan => Comparison::Less,
        _ => Comparison::Equals,
    }
}

/// An expression without operators is plain text: no need to run it as an expression.
#[cfg(feature = "regex")]
fn compile_regex(rule: &Rule, expression: &str) -> Result<Test, RuleProblem> {
    let literal = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || " _-:/,@".contains(c))
    };
    let case = if rule.ignore_case {
        Case::Ignored
    } else {
        Case::Exact
    };
    let (start, rest) = match expression.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, expression),
    };
    let (end, rest) = match rest.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    // Beyond ASCII the expression's own case folding is the richer one.
    if literal(rest) && rest.is_ascii() {
        match (start, end) {
            (true, true) => return Ok(Test::Text(Matching::Whole, rest.to_owned(), case)),
            (true, false) => return Ok(Test::Text(Matching::Start, rest.to_owned(), case)),
            (false, false) => return Ok(Test::Text(Matching::Inside, rest.to_owned(), case)),
            (false, true) => {}
        }
    }
    regex::RegexBuilder::new(expression)
        .case_insensitive(rule.ignore_case)
        .size_limit(REGEX_SIZE_LIMIT)
        .dfa_size_limit(REGEX_SIZE_LIMIT)
        .build()
        .map(Test::Regex)
        .map_err(|error| RuleProblem::BadRegex {
            rule: rule.id.clone(),
            reason: error.to_string(),
        })
}

#[cfg(not(feature = "regex"))]
fn compile_regex(rule: &Rule, _: &str) -> Result<Test, RuleProblem> {
    Err(RuleProblem::RegexNotBuilt {
        rule: rule.id.clone(),
    })
}

impl Test {
    fn matches(&self, value: Option<&Value<'_>>) -> bool {
        match (self, value) {
            (Self::NotExists, value) => value.is_none(),
            (_, None) => false,
            (Self::Exists, Some(_)) => true,
            (Self::Bool(expected), Some(Value::Bool(found))) => expected == found,
            (Self::Number(comparison, expected), Some(Value::Integer(found))) => {
                comparison.holds(Number::Integer(*found), *expected)
            }
            (Self::Number(comparison, expected), Some(Value::Fraction(found))) => {
                comparison.holds(Number::Fraction(*found), *expected)
            }
            (Self::Text(matching, expected, case), Some(Value::Text(found))) => {
                matching.holds(found.as_bytes(), expected.as_bytes(), *case)
            }
            #[cfg(feature = "regex")]
            (Self::Regex(expression), Some(Value::Text(found))) => expression.is_match(found),
            (_, Some(_)) => false,
        }
    }
}

impl Comparison {
    fn holds(self, found: Number, expected: Number) -> bool {
        use std::cmp::Ordering;
        let order = match (found, expected) {
            (Number::Integer(found), Number::Integer(expected)) => Some(found.cmp(&expected)),
            (found, expected) => found.as_f64().partial_cmp(&expected.as_f64()),
        };
        match self {
            Self::Equals => order == Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::Less => order == Some(Ordering::Less),
        }
    }
}

impl Number {
    #[allow(
        clippy::cast_precision_loss,
        reason = "only compared with a fraction, and never money"
    )]
    fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}

impl Matching {
    fn holds(self, found: &[u8], expected: &[u8], case: Case) -> bool {
        let same = |found: &[u8]| match case {
            Case::Exact => found == expected,
            Case::Ignored => found.eq_ignore_ascii_case(expected),
        };
        match self {
            Self::Whole => same(found),
            Self::Start => found.get(..expected.len()).is_some_and(same),
            Self::Inside => found.windows(expected.len()).any(same),
        }
    }
}

#[cfg(all(test, not(feature = "regex")))]
mod tests {
    use super::RuleDetector;
    use crate::detect::{Condition, Operand, RuleProblem, RuleSet};

    #[test]
    fn a_regex_is_refused_with_the_name_of_the_feature() {
        let mut rules = RuleSet::standard();
        rules.rules[0].condition = Condition::Regex;
        rules.rules[0].value = Some(Operand::Text("^card$".to_owned()));
        let problems = RuleDetector::new(rules).unwrap_err().problems;
        assert_eq!(
            problems,
            [RuleProblem::RegexNotBuilt {
                rule: "declared-card".to_owned()
            }]
        );
        assert!(problems[0].to_string().contains("feature `regex`"));
    }
}
