"""What is known of columns, in parts that merge: profiles, sketches, associations, drift, scores.

Never imports Spark.
"""
