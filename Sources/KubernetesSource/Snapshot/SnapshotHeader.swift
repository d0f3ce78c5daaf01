import KubernetesAPI

/// What a snapshot is of.
struct SnapshotHeader: Hashable, Sendable {
    struct Part: Hashable, Sendable {
        var kind: ObjectKind
        /// Which objects of the kind were asked for.
        var scope: String
        /// Of the state that the objects make up.
        var resourceVersion: String
    }

    /// The cluster, see ``SnapshotFile/init(path:cluster:)``.
    var cluster: String
    var parts: [Part]

    static let magic = Array("SWLTSNAP".utf8)
    /// Raised whenever an object would be read with less than it had, or a kind with fewer objects.
    static let version: UInt32 = 2
    static let lengthLimit = 1 << 20

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(text: cluster)
        bytes.append(number: UInt32(parts.count))
        for part in parts {
            bytes.append(text: part.kind.rawValue)
            bytes.append(text: part.scope)
            bytes.append(text: part.resourceVersion)
        }
        return bytes
    }

    init(cluster: String, parts: [Part]) {
        self.cluster = cluster
        self.parts = parts
    }

    /// `nil` when the bytes are no header, or name a kind that is not known.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        guard let cluster = rest.takeText(), let count = rest.takeNumber(UInt32.self), count <= 64 else { return nil }
        self.cluster = cluster
        parts = []
        for _ in 0..<count {
            guard let word = rest.takeText(), let kind = ObjectKind(rawValue: word), let scope = rest.takeText(),
                let version = rest.takeText()
            else { return nil }
            parts.append(Part(kind: kind, scope: scope, resourceVersion: version))
        }
        guard rest.isEmpty else { return nil }
    }
}

extension [UInt8] {
    mutating func append(number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    mutating func append(text: String) {
        append(number: UInt32(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}

extension ArraySlice<UInt8> {
    mutating func takeNumber<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        let size = MemoryLayout<Number>.size
        guard count >= size else { return nil }
        var number = Number.zero
        for byte in prefix(size).reversed() { number = number << 8 | Number(byte) }
        self = dropFirst(size)
        return number
    }

    mutating func takeText() -> String? {
        guard let length = takeNumber(UInt32.self), length <= count else { return nil }
        let text = String(validating: prefix(Int(length)), as: UTF8.self)
        self = dropFirst(Int(length))
        return text
    }
}
