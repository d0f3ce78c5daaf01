import JSON
import KubernetesAPI

extension MetaObjectMeta: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        case "namespace": namespace = try reader.string()
        case "uid": uid = try reader.string()
        case "resourceVersion": resourceVersion = try reader.string()
        case "creationTimestamp": creationTimestamp = try reader.time()
        case "deletionTimestamp": deletionTimestamp = try reader.time()
        case "labels": labels = try reader.strings()
        case "annotations": annotations = try reader.knownAnnotations()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
        if hasNamespace { writer.member("namespace", namespace) }
        if hasUid { writer.member("uid", uid) }
        if hasResourceVersion { writer.member("resourceVersion", resourceVersion) }
        if hasCreationTimestamp { writer.member("creationTimestamp", creationTimestamp) }
        if hasDeletionTimestamp { writer.member("deletionTimestamp", deletionTimestamp) }
        if !labels.isEmpty { writer.member("labels", labels) }
        if !annotations.isEmpty { writer.member("annotations", annotations) }
    }
}

extension MetaBookmarkMeta: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "resourceVersion": resourceVersion = try reader.string()
        case "annotations": annotations = try reader.strings()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasResourceVersion { writer.member("resourceVersion", resourceVersion) }
        if !annotations.isEmpty { writer.member("annotations", annotations) }
    }
}

extension MetaListMeta: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "resourceVersion": resourceVersion = try reader.string()
        case "continue": `continue` = try reader.string()
        case "remainingItemCount": remainingItemCount = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasResourceVersion { writer.member("resourceVersion", resourceVersion) }
        if hasContinue { writer.member("continue", `continue`) }
        if hasRemainingItemCount { writer.member("remainingItemCount", remainingItemCount) }
    }
}

extension MetaStatus: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "status": status = try reader.string()
        case "message": message = try reader.string()
        case "reason": reason = try reader.string()
        case "details": details = try reader.message()
        case "code": code = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        if hasStatus { writer.member("status", status) }
        if hasMessage { writer.member("message", message) }
        if hasReason { writer.member("reason", reason) }
        if hasDetails { writer.member("details", details) }
        if hasCode { writer.member("code", code) }
    }
}

extension MetaStatusDetails: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        case "group": group = try reader.string()
        case "kind": kind = try reader.string()
        case "uid": uid = try reader.string()
        case "causes": causes = try reader.messages()
        case "retryAfterSeconds": retryAfterSeconds = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
        if hasGroup { writer.member("group", group) }
        if hasKind { writer.member("kind", kind) }
        if hasUid { writer.member("uid", uid) }
        if !causes.isEmpty { writer.member("causes", causes) }
        if hasRetryAfterSeconds { writer.member("retryAfterSeconds", retryAfterSeconds) }
    }
}

extension MetaStatusCause: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "reason": reason = try reader.string()
        case "message": message = try reader.string()
        case "field": field = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasReason { writer.member("reason", reason) }
        if hasMessage { writer.member("message", message) }
        if hasField { writer.member("field", field) }
    }
}

extension JSONReader {
    fileprivate mutating func time() throws(Failure) -> MetaTime {
        let text = try string()
        do {
            return MetaTime(try FieldRule.time(text))
        } catch {
            throw failure(error.reason)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: String, _ time: MetaTime) {
        let nanoseconds = time.seconds &* 1_000_000_000 &+ Int64(time.nanos)
        member(name, Timestamp(nanoseconds: nanoseconds).description)
    }
}
