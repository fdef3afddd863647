//! A legacy certificate backend that really has the reported faults, each behind a switch.
