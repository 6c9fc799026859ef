"""Code that builds and checks the course: learners import its checks, and need not open it."""
