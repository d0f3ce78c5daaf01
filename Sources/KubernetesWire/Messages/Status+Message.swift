import KubernetesAPI

extension Status {
    init(_ message: MetaStatus) {
        self.init(
            status: message.status,
            message: message.message,
            reason: message.reason,
            code: Int(message.code),
            details: message.hasDetails ? Details(message.details) : nil
        )
    }
}

extension Status.Details {
    fileprivate init(_ message: MetaStatusDetails) {
        self.init(
            name: message.name.nilIfEmpty,
            group: message.group.nilIfEmpty,
            kind: message.kind.nilIfEmpty,
            uid: message.uid.nilIfEmpty,
            retryAfterSeconds: message.retryAfterSeconds == 0 ? nil : Int(message.retryAfterSeconds),
            causes: message.causes.isEmpty ? nil : message.causes.map(Status.Cause.init)
        )
    }
}

extension Status.Cause {
    fileprivate init(_ message: MetaStatusCause) {
        self.init(
            reason: message.reason.nilIfEmpty,
            message: message.message.nilIfEmpty,
            field: message.field.nilIfEmpty
        )
    }
}

extension String {
    /// Protobuf holds absent strings as empty ones.
    fileprivate var nilIfEmpty: String? { isEmpty ? nil : self }
}

extension MetaStatus {
    init(_ value: Status) {
        metadata = MetaListMeta()
        status = value.status
        message = value.message
        reason = value.reason
        code = Int32(clamping: value.code)
        if let details = value.details { self.details = MetaStatusDetails(details) }
    }
}

extension MetaStatusDetails {
    fileprivate init(_ details: Status.Details) {
        if let name = details.name { self.name = name }
        if let group = details.group { self.group = group }
        if let kind = details.kind { self.kind = kind }
        if let uid = details.uid { self.uid = uid }
        if let seconds = details.retryAfterSeconds { retryAfterSeconds = Int32(clamping: seconds) }
        causes = (details.causes ?? []).map(MetaStatusCause.init)
    }
}

extension MetaStatusCause {
    fileprivate init(_ cause: Status.Cause) {
        if let reason = cause.reason { self.reason = reason }
        if let message = cause.message { self.message = message }
        if let field = cause.field { self.field = field }
    }
}
