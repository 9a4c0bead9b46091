//! Scenes: what is typed, and what the row shows. `|` is the cursor.

use super::*;

fn no_completions(_: &str) -> (usize, Vec<String>) {
    (0, Vec::new())
}

fn typed(text: &str) -> Editor {
    let mut editor = Editor::default();
    editor.press(Key::Text(text.to_owned()), &no_completions);
    editor
}

fn press(editor: &mut Editor, keys: &[Key]) -> Effect {
    let effects = keys.iter().map(|key| editor.press(key.clone(), &no_completions));
    effects.last().unwrap_or(Effect::Nothing)
}

fn shown(editor: &Editor) -> String {
    format!("{}|{}", &editor.text[..editor.cursor], &editor.text[editor.cursor..])
}

#[test]
fn keys_move_and_remove() {
    let mut editor = typed("hello big world");
    press(&mut editor, &[Key::WordLeft, Key::WordLeft]);
    assert_eq!(shown(&editor), "hello |big world");
    press(&mut editor, &[Key::KillWord]);
    assert_eq!(shown(&editor), "|big world");
    press(&mut editor, &[Key::WordRight, Key::KillRight, Key::Backspace, Key::Home, Key::Delete]);
    assert_eq!(shown(&editor), "|i");
}

#[test]
fn a_cluster_is_one_step_however_many_characters_it_has() {
    let mut editor = typed("가👩‍👩‍👧각e\u{301}");
    press(&mut editor, &[Key::Left]);
    assert_eq!(shown(&editor), "가👩‍👩‍👧각|e\u{301}");
    press(&mut editor, &[Key::Left, Key::Backspace]);
    assert_eq!(shown(&editor), "가|각e\u{301}");
}

#[test]
fn jamo_that_are_typed_one_by_one_stay_one_syllable() {
    let mut editor = Editor::default();
    for jamo in ["\u{1112}", "\u{1161}", "\u{11ab}"] {
        press(&mut editor, &[Key::Text(jamo.into())]);
    }
    assert_eq!(editor.row(20), ("\u{1112}\u{1161}\u{11ab}".to_owned(), 2));
    press(&mut editor, &[Key::Backspace]);
    assert_eq!(shown(&editor), "|");
}

#[test]
fn wide_characters_take_two_columns() {
    assert_eq!(typed("안녕 hi").row(20), ("안녕 hi".to_owned(), 7));
}

#[test]
fn a_long_line_scrolls_sideways_and_never_fills_the_row() {
    let mut editor = typed("가나다라마바사");
    // Nine columns: four wide characters and the cursor.
    assert_eq!(editor.row(9), ("라마바사".to_owned(), 8));
    // Eight columns: the half of a character that would fit is not shown.
    assert_eq!(editor.row(8), ("마바사".to_owned(), 6));
    press(&mut editor, &[Key::Home]);
    assert_eq!(editor.row(8), ("가나다".to_owned(), 0));
    assert_eq!(editor.row(0), (String::new(), 0));
}

#[test]
fn arrows_bring_lines_back_and_keep_the_draft() {
    let mut editor = Editor::default();
    for line in ["one", "two", "two"] {
        press(&mut editor, &[Key::Text(line.into()), Key::Enter]);
    }
    press(&mut editor, &[Key::Text("draft".into()), Key::Up]);
    assert_eq!(shown(&editor), "two|");
    press(&mut editor, &[Key::Up, Key::Up]);
    assert_eq!(shown(&editor), "one|");
    press(&mut editor, &[Key::Down, Key::Down]);
    assert_eq!(shown(&editor), "draft|");
}

#[test]
fn tab_completes_as_far_as_is_certain() {
    let rooms = |line: &str| -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |at| at + 1);
        let names = ["plaza ", "planet "].iter().filter(|name| name.starts_with(&line[start..]));
        (start, names.map(|name| (*name).to_owned()).collect())
    };
    let mut editor = typed("/join p");
    assert_eq!(editor.press(Key::Tab, &rooms), Effect::Nothing);
    assert_eq!(shown(&editor), "/join pla|");
    let candidates = vec!["plaza ".to_owned(), "planet ".to_owned()];
    assert_eq!(editor.press(Key::Tab, &rooms), Effect::Candidates(candidates));
    editor.press(Key::Text("z".into()), &rooms);
    editor.press(Key::Tab, &rooms);
    assert_eq!(shown(&editor), "/join plaza |");
}

#[test]
fn a_paste_is_one_line_without_control_characters() {
    assert_eq!(shown(&typed("one\r\ntwo\tthree\x1b[31m")), "one two three[31m|");
}

#[test]
fn control_c_clears_and_then_leaves() {
    let mut editor = typed("oops");
    assert_eq!(press(&mut editor, &[Key::Cancel]), Effect::Nothing);
    assert_eq!(press(&mut editor, &[Key::Cancel]), Effect::Quit);
    let mut editor = typed("oops");
    press(&mut editor, &[Key::Home]);
    assert_eq!(press(&mut editor, &[Key::EndOfInput]), Effect::Nothing);
    assert_eq!(shown(&editor), "|ops");
}
