"""The three-plane CT viewer: a Gradio component, the board it shows, and the routes that feed it."""

from .board import Beside, Board
from .component import viewer_html, viewer_value
from .routes import add_routes

__all__ = ["Beside", "Board", "add_routes", "viewer_html", "viewer_value"]
