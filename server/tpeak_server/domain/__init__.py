"""What a study is, without any IO: plain types, rules and errors."""
