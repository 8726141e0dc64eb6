"""What the claims train and keep: a frozen encoder, its views of all frames, heads with searched rates (`_setting`)."""
