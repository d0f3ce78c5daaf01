/// A protobuf message without knowledge of its fields: by number, in order, so that two can be compared.
struct ProtobufFields {
    enum Value: Equatable {
        case number(UInt64)
        case bytes([UInt8])
    }

    var fields: [Int: [Value]] = [:]

    init?(_ bytes: some Collection<UInt8>) {
        var rest = Array(bytes)[...]
        func varint() -> UInt64? {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while let byte = rest.popFirst(), shift < 64 {
                value |= UInt64(byte & 0x7f) << shift
                if byte & 0x80 == 0 { return value }
                shift += 7
            }
            return nil
        }
        while !rest.isEmpty {
            guard let tag = varint(), tag >> 3 > 0 else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = varint() else { return nil }
                fields[Int(tag >> 3), default: []].append(.number(value))
            case 2:
                guard let count = varint(), count <= rest.count else { return nil }
                fields[Int(tag >> 3), default: []].append(.bytes(Array(rest.prefix(Int(count)))))
                rest = rest.dropFirst(Int(count))
            default: return nil
            }
        }
    }

    func bytes(_ number: Int) -> [UInt8] {
        guard case .bytes(let bytes) = fields[number]?.first else { return [] }
        return bytes
    }

    func text(_ number: Int) -> String { String(decoding: bytes(number), as: UTF8.self) }

    func messages(_ number: Int) -> [ProtobufFields] {
        (fields[number] ?? []).compactMap {
            guard case .bytes(let bytes) = $0 else { return nil }
            return ProtobufFields(bytes)
        }
    }

    /// The message inside the envelope of an object.
    static func object(_ bytes: [UInt8]) -> (apiVersion: String, kind: String, message: ProtobufFields)? {
        guard bytes.starts(with: Array("k8s\0".utf8)), let unknown = ProtobufFields(bytes.dropFirst(4)),
            let type = ProtobufFields(unknown.bytes(1)), let message = ProtobufFields(unknown.bytes(2))
        else { return nil }
        return (type.text(1), type.text(2), message)
    }

    /// The events of a watch: type and enveloped object.
    static func watchEvents(_ bytes: [UInt8]) -> [(type: String, object: [UInt8])]? {
        var events: [(String, [UInt8])] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let count = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= count, let event = ProtobufFields(rest.prefix(count)),
                let raw = ProtobufFields(event.bytes(2))
            else { return nil }
            events.append((event.text(1), raw.bytes(1)))
            rest = rest.dropFirst(count)
        }
        return events
    }

    /// The numbers of the fields on the way to a difference; empty when there is none.
    ///
    /// - Parameter isSubset: whether fields that only the other one has do not count.
    func difference(_ other: ProtobufFields, isSubset: Bool = false, depth: Int = 0) -> String? {
        for number in Set(fields.keys).union(other.fields.keys).sorted() {
            guard let mine = fields[number] else {
                if isSubset { continue }
                return "\(number) is missing"
            }
            guard let theirs = other.fields[number] else { return "\(number) is unexpected" }
            // Go writes maps in any order.
            if mine == theirs || Set(mine.map(\.sorted)) == Set(theirs.map(\.sorted)) { continue }
            guard mine.count == theirs.count else { return "\(number): \(mine.count) instead of \(theirs.count)" }
            for (mine, theirs) in zip(mine, theirs) where mine != theirs {
                guard case .bytes(let mine) = mine, case .bytes(let theirs) = theirs,
                    let mine = ProtobufFields(mine), let theirs = ProtobufFields(theirs)
                else { return "\(number): another value" }
                if let inner = mine.difference(theirs, isSubset: isSubset, depth: depth + 1) {
                    return "\(number).\(inner)"
                }
            }
        }
        return nil
    }
}

extension ProtobufFields.Value {
    fileprivate var sorted: [UInt8] {
        switch self {
        case .number(let number): withUnsafeBytes(of: number) { Array($0) }
        case .bytes(let bytes): bytes
        }
    }
}
