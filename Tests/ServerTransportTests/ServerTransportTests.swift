import ServerTransport
import Testing
