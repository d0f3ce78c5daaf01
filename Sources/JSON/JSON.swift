// JSON: text in, values out, and back, with the standard library alone. ``JSONReader`` reads text straight into the
// record that is wanted and is the only tokenizer; ``JSONValue`` is the tree for what has to be kept as it was written;
// ``JSONWriter`` writes both. What a key means, and how a wrong value is reported to whom, belongs to the modules above.
//
// `JSONDecoder` and `JSONEncoder` are fine for objects of a fixed shape that are read now and then. They do not do for
// what is here: configurations that are handed on with the order of their members and the digits of their numbers,
// input from outside whose nesting must be bounded by us, and ten thousand blocks of 15 kB each, for which a tree of
// boxed values is too slow.
