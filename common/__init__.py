"""What several packages need and what knows neither pages, nor models, nor training. Imports none of our packages."""
