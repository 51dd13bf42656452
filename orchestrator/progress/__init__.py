"""What a person or a machine sees on standard error while a run goes on."""
