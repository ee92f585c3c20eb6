"""headrace: generator functions and Ibis expressions, landed and run as one Hamilton DAG."""
