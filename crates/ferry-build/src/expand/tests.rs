//! Tables for expansion: what a word becomes, and which words are refused.

use super::*;

fn lookup(name: &str) -> Option<String> {
    Some(
        match name {
            "x" => "one two",
            "empty" => "",
            "path" => "/usr/local/lib/libx.so.1",
            "dots" => "a.b.c",
            "uni" => "grüße-grüße",
            _ => return None,
        }
        .to_owned(),
    )
}

fn expander(quotes: Quotes, unset: Unset) -> Expander<'static> {
    Expander {
        escape: '\\',
        quotes,
        unset,
        lookup: &lookup,
    }
}

fn check(word: &str, expect: &str) {
    let got = expander(Quotes::Remove, Unset::Empty).word(word);
    assert_eq!(got.as_deref(), Ok(expect), "{word:?}");
}

#[test]
fn plain_words_and_quotes() {
    check("", "");
    check("a b", "a b");
    check("'a b'", "a b");
    check("\"a b\"", "a b");
    check("'$x'", "$x");
    check("\"$x\"", "one two");
    check(r"a\ b", "a b");
    check(r"\$x", "$x");
    check(r"'a\'", r"a\");
    check(r#""a\nb""#, r"a\nb");
    check(r#""a\"b\\c\$x""#, r#"a"b\c$x"#);
    check("a'b'\"c\"d", "abcd");
    check("a\\", "a");
    check("$", "$");
    check("a$ b", "a$ b");
    check("$x.y", "one two.y");
    check("$unset", "");
    check("$1a", "a");
}

#[test]
fn substitutions() {
    check("${x}", "one two");
    check("${unset}", "");
    check("${unset:-w}", "w");
    check("${empty:-w}", "w");
    check("${empty-w}", "");
    check("${unset-w}", "w");
    check("${x:+w}", "w");
    check("${empty:+w}", "");
    check("${empty+w}", "w");
    check("${unset+w}", "");
    check("${x:?e}", "one two");
    check("${empty?e}", "");
    check("${unset:-${x}}", "one two");
    check("${unset:-a${empty:-b}c}", "abc");
    check(r"${unset:-\}}", "}");
    check("${unset:-'a}b'}", "a}b");
}

#[test]
fn patterns() {
    check("${path#*/}", "usr/local/lib/libx.so.1");
    check("${path##*/}", "libx.so.1");
    check("${path%.*}", "/usr/local/lib/libx.so");
    check("${path%%.*}", "/usr/local/lib/libx");
    check("${path#nothing}", "/usr/local/lib/libx.so.1");
    check("${dots/./-}", "a-b.c");
    check("${dots//./-}", "a-b-c");
    check("${dots//?/x}", "xxxxx");
    check("${dots/b*/x}", "a.x");
}

#[test]
fn patterns_with_escapes_and_letters() {
    check(r"${path//\//_}", "_usr_local_lib_libx.so.1");
    check("${uni##*-}", "grüße");
    check("${uni%ß?}", "grüße-grü");
    check(r"${dots/\*/x}", "a.b.c");
    check("${dots%%*}", "");
    check("${dots#**c}", "");
}

#[test]
fn faults() {
    let check = |word: &str, expect: &str| {
        let error = expander(Quotes::Remove, Unset::Empty).word(word).unwrap_err();
        assert_eq!(error.reason.to_string(), expect, "{word:?}");
    };
    check(
        "'a",
        "unexpected end of statement while looking for matching single-quote",
    );
    check(
        "\"a",
        "unexpected end of statement while looking for matching double-quote",
    );
    check("${", "syntax error: missing '}'");
    check("${x", "syntax error: missing '}'");
    check("${x:-", "syntax error: missing '}'");
    check("${}", "syntax error: bad substitution");
    check("${:x}", "syntax error: bad substitution");
    check("${x;y}", "unsupported modifier (;) in substitution");
    check("${x:#y}", "unsupported modifier (:#) in substitution");
    check("${unset?}", "unset: is not allowed to be unset");
    check("${empty:?}", "empty: is not allowed to be empty");
    check("${empty:?must have it}", "empty: must have it");
    check(r"${x#\a}", r"invalid escape '\a' in pattern");
    check(&"${a:-".repeat(200), "substitutions are nested more than 100 deep");
}

#[test]
fn words_split_outside_quotes() {
    let check = |word: &str, expect: &[&str]| {
        let words = expander(Quotes::Remove, Unset::Empty).words(word).unwrap();
        assert_eq!(words, expect, "{word:?}");
    };
    check("$x", &["one", "two"]);
    check("\"$x\"", &["one two"]);
    check("a$x", &["aone", "two"]);
    check("''", &[""]);
    check("$empty", &[]);
    check(r"a\ b c", &["a b", "c"]);
}

#[test]
fn quotes_and_unset_names_can_stay() {
    let check = |quotes: Quotes, word: &str, expect: &str| {
        let got = expander(quotes, Unset::Keep).word(word).unwrap();
        assert_eq!(got, expect, "{word:?}");
    };
    check(
        Quotes::Keep,
        "echo \"$x\" '$x' $y ${y:-z}",
        "echo \"one two\" '$x' $y ${y:-z}",
    );
    check(Quotes::Text, "it's \"$x\" \\$x\n", "it's \"one two\" $x\n");
}
