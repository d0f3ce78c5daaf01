import TestAPIServer
import Testing
