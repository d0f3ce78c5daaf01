import JSON
import KubernetesAPI

extension JSONReader {
    /// Reads the object that comes next, and steps over it when it cannot be used.
    ///
    /// - Parameter typed: whether it has to say its kind; the items of a list need not.
    /// - Throws: when it is not even JSON.
    mutating func decoded<Body: ObjectMessage>(
        _ kind: ObjectKind,
        as type: Body.Type,
        typed: Bool,
        _ text: Span<UInt8>,
        _ pool: StringPool
    ) throws(Failure) -> Decoded {
        let start = mark()
        let failure: Failure
        do {
            var message = Body()
            var types = TypeNames()
            var triggerTime: Timestamp?
            try object { (name, reader) throws(Failure) in
                if reader.null() { return }
                if kind == .endpointSlice, name == "metadata" { triggerTime = try reader.triggerTime() }
                if try !types.readMember(name, &reader) { try message.readMember(name, &reader) }
            }
            guard let fault = types.fault(wanted: kind, typed: typed) else {
                return message.decoded(kind, pool).noting(triggerTime)
            }
            return .skipped(PartialMeta(message.metadata).skipped(kind, fault))
        } catch {
            failure = error
        }
        rewind(to: start)
        let meta = try partialMeta()
        let end = mark()
        let range = offset(of: start)..<offset(of: end)
        return .skipped(meta.skipped(kind, FieldError(failure, text, within: range)))
    }

    /// Reads of an object what can be read of its names, and steps over everything else.
    mutating func partialMeta() throws(Failure) -> PartialMeta {
        var meta = PartialMeta()
        guard try kind() == .object else {
            try skip()
            return meta
        }
        try object { (name, reader) throws(Failure) in
            switch name {
            case "apiVersion": meta.types.apiVersion = try reader.stringIfValid()
            case "kind": meta.types.kind = try reader.stringIfValid()
            case "metadata" where try reader.kind() == .object:
                try reader.object { (name, reader) throws(Failure) in
                    switch name {
                    case "name": meta.name = try reader.stringIfValid() ?? ""
                    case "namespace": meta.namespace = try reader.stringIfValid() ?? ""
                    case "resourceVersion": meta.resourceVersion = try reader.stringIfValid() ?? ""
                    default: try reader.skip()
                    }
                }
            default: try reader.skip()
            }
        }
        return meta
    }

    /// Reads of the metadata of a slice, which comes next and stays there, when the change happened that made the slice.
    private mutating func triggerTime() throws(Failure) -> Timestamp? {
        guard try kind() == .object else { return nil }
        let start = mark()
        var time: Timestamp?
        try object { (name, reader) throws(Failure) in
            guard name == "annotations", try reader.kind() == .object else { return try reader.skip() }
            try reader.object { (name, reader) throws(Failure) in
                guard name == EndpointSlice.triggerTimeAnnotation else { return try reader.skip() }
                time = try reader.stringIfValid().flatMap { Timestamp($0) }
            }
        }
        rewind(to: start)
        return time
    }

    /// The annotations that somebody reads. The others may be large, or whatever a tool has made of them.
    mutating func knownAnnotations() throws(Failure) -> [String: String] {
        var known: [String: String] = [:]
        guard try kind() == .object else {
            try skip()
            return known
        }
        try object { (name, reader) throws(Failure) in
            guard AnnotationKey.kept.contains(name) else { return try reader.skip() }
            known[name] = try reader.stringIfValid()
        }
        return known
    }

    /// Of the object of a bookmark.
    mutating func bookmarkMeta() throws(Failure) -> MetaBookmarkMeta {
        var metadata = MetaBookmarkMeta()
        try object { (name, reader) throws(Failure) in
            if name == "metadata" { metadata = try reader.message() } else { try reader.skip() }
        }
        return metadata
    }

    /// A string; anything else is stepped over.
    private mutating func stringIfValid() throws(Failure) -> String? {
        let start = mark()
        do {
            return try string()
        } catch {
            rewind(to: start)
            try skip()
            return nil
        }
    }
}

extension FieldError {
    /// Names the field at which reading a part of a text failed.
    init(_ failure: JSONReader.Failure, _ text: Span<UInt8>, within range: Range<Int>) {
        let part = text.extracting(range)
        let steps = JSONReader.path(to: failure.offset - range.lowerBound, in: part)
        let components = steps.map { step -> Component in
            switch step {
            case .key(let key): .key(String(key.prefix(64)))
            case .index(let index): .index(index)
            }
        }
        let found = failure.reason.hasPrefix("expected ") ? JSONReader.noun(at: failure.offset, in: text) : nil
        let reason = failure.reason == "expected an array" ? "expected a list" : failure.reason
        self.init(components: components, reason: reason + (found.map { ", found \($0)" } ?? ""))
    }
}
