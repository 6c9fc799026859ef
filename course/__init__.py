"""What builds and checks the course: learners import its checks and never need to open it."""
