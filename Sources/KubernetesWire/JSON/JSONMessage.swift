import JSON

/// A message in its JSON form. Names that are not known are skipped; `null` is the same as no such member.
protocol JSONMessage {
    init()

    /// Reads one member, or skips it; the value is not null.
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure)

    /// Writes the members that are set.
    func writeMembers(_ writer: inout JSONWriter)
}

extension JSONReader {
    mutating func message<Body: JSONMessage>(_ type: Body.Type = Body.self) throws(Failure) -> Body {
        var message = Body()
        try object { (name, reader) throws(Failure) in
            if !reader.null() { try message.readMember(name, &reader) }
        }
        return message
    }

    mutating func messages<Body: JSONMessage>(_ type: Body.Type = Body.self) throws(Failure) -> [Body] {
        var messages: [Body] = []
        try array { (reader) throws(Failure) in messages.append(try reader.message()) }
        return messages
    }

    mutating func strings() throws(Failure) -> [String] {
        var strings: [String] = []
        try array { (reader) throws(Failure) in strings.append(try reader.string()) }
        return strings
    }

    mutating func strings() throws(Failure) -> [String: String] {
        var strings: [String: String] = [:]
        try object { (name, reader) throws(Failure) in
            if !reader.null() { strings[name] = try reader.string() }
        }
        return strings
    }
}

extension JSONWriter {
    mutating func member(_ name: String, _ text: String) {
        self.name(name)
        string(text)
    }

    mutating func member(_ name: String, _ number: some FixedWidthInteger) {
        self.name(name)
        integer(number)
    }

    mutating func member(_ name: String, _ value: Bool) {
        self.name(name)
        boolean(value)
    }

    mutating func member(_ name: String, _ message: some JSONMessage) {
        self.name(name)
        object { message.writeMembers(&$0) }
    }

    mutating func member(_ name: String, _ messages: [some JSONMessage]) {
        self.name(name)
        array(messages) { writer, message in writer.object { message.writeMembers(&$0) } }
    }

    mutating func member(_ name: String, _ texts: [String]) {
        self.name(name)
        array(texts) { writer, text in writer.string(text) }
    }

    /// In the order of the keys, so that equal messages are equal text.
    mutating func member(_ name: String, _ texts: [String: String]) {
        self.name(name)
        object { writer in
            for (key, text) in texts.sorted(by: { $0.key < $1.key }) { writer.member(key, text) }
        }
    }
}
